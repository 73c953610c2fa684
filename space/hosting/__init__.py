"""What the app needs of the machine that it runs on: bounds, uploads, limits, hardware, the MCP package."""
