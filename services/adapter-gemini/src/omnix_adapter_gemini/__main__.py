from omnix_adapter_gemini.main import main

main()
