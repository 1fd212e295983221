"""What the HTTP transport is made of: addresses, proxies, and small requests over aiohttp."""
