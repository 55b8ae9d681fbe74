from omnix_gateway.main import main

main()
