"""The backend that reads and writes disk images through a throw-away QEMU machine."""
