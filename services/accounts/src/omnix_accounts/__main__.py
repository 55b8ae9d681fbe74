from omnix_accounts.main import main

if __name__ == "__main__":
    main()
