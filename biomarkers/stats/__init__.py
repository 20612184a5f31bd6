"""Statistics on plain arrays: each function one method, held to R's values."""
