from omnix_analytics.main import main

if __name__ == "__main__":
    main()
