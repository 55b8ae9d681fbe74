from omnix_adapter_openai.main import main

main()
