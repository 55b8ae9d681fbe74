from omnix_adapter_huggingface.main import main

main()
