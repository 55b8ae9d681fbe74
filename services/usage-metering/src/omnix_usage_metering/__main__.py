from omnix_usage_metering.main import main

if __name__ == "__main__":
    main()
