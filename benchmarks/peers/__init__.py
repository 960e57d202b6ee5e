"""The engine beside other libraries; runs in `.venv-peers`, which `make peers` sets up."""
