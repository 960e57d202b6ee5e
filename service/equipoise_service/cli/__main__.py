"""`python -m equipoise_service.cli`: the command `equipoise`, where its script is not on the path."""

from equipoise_service.cli import main

if __name__ == "__main__":
    main()
