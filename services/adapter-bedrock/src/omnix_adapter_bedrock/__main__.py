from omnix_adapter_bedrock.main import main

main()
