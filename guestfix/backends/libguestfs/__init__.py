"""The backend that reads and writes disk images through the libguestfs appliance."""
