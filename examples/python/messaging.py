"""Sends what is typed to everybody in the channel, and prints what they send.

python messaging.py --url ws://127.0.0.1:5000/signaling --channel hello --label "#chat"
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from sora_sdk import aio


async def print_messages(connection: aio.Connection) -> None:
    async for message in connection.messages():
        print(f"{message.label}: {message.data.decode(errors='replace')}", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--label", default="#chat")
    args = parser.parse_args()

    async with aio.Connection(
        args.url,
        args.channel,
        audio=False,
        video=False,
        data_channel_signaling=True,
        data_channels=[{"label": args.label, "direction": "sendrecv"}],
    ) as connection:
        printing = asyncio.ensure_future(print_messages(connection))
        await connection.data_channel(args.label)
        print("connected; end with an empty line", flush=True)
        typed = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(typed), sys.stdin)
        while line := (await typed.readline()).strip():
            await connection.send(args.label, line)
        printing.cancel()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
