"""The backend that reads and writes disk images through User-mode Linux."""
