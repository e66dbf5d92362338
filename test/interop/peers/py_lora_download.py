"""Fetches adapters with the real downloader: py_lora_download.py CACHE URI...; prints for each its path or its error."""
import asyncio
import json
import sys

from dynamo.llm import LoRADownloader


async def main():
    downloader = LoRADownloader(sys.argv[1])
    for uri in sys.argv[2:]:
        told = {"uri": uri, "key": LoRADownloader.uri_to_cache_key(uri)}
        try:
            told["path"] = await downloader.download_if_needed(uri)
        except Exception as error:
            told["error"] = str(error)
        told["cached"] = downloader.is_cached(uri)
        print(json.dumps(told), flush=True)


asyncio.run(main())
