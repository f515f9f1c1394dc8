"""File formats that editors, actions and detectors share. Pure: bytes in, values or bytes out."""
