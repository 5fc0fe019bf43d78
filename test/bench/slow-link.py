"""A slow link between two TUN interfaces: rate, delay and loss of packets, each way.

Real packets between two kernels' TCP, without netem, which not every kernel has. Says "ready" once the interfaces are
there, and begins when it is sent a line, by when they are up, wherever they have been moved to. Linux, root.
"""

import argparse
import collections
import fcntl
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
LARGEST_PACKET = 65536


def interface(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


class Way:
    """One direction: packets wait for the rate, longest `queue` seconds, then travel for `delay` seconds."""

    def __init__(self, source: int, target: int, link: argparse.Namespace, seed: int) -> None:
        self.source, self.target, self.link = source, target, link
        self.random = random.Random(seed)
        self.sent = time.monotonic()
        self.underway: collections.deque[tuple[float, bytes]] = collections.deque()

    def take(self) -> None:
        try:
            packet = os.read(self.source, LARGEST_PACKET)
        except BlockingIOError:
            return
        now = time.monotonic()
        sent = max(now, self.sent) + 8 * len(packet) / (1e6 * self.link.mbit)
        if sent - now > self.link.queue_ms / 1000:
            return
        # What is lost has been sent all the same.
        self.sent = sent
        if self.random.random() >= self.link.loss:
            self.underway.append((sent + self.link.delay_ms / 1000, packet))

    def deliver(self) -> None:
        while self.underway and self.underway[0][0] <= time.monotonic():
            os.write(self.target, self.underway.popleft()[1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("interfaces", nargs=2)
    parser.add_argument("--mbit", type=float, required=True)
    parser.add_argument("--delay-ms", type=float, required=True)
    parser.add_argument("--queue-ms", type=float, required=True)
    parser.add_argument("--loss", type=float, required=True, help="a share of packets")
    link = parser.parse_args()
    one, other = (interface(name) for name in link.interfaces)
    print("ready", flush=True)
    sys.stdin.readline()
    ways = {one: Way(one, other, link, 1), other: Way(other, one, link, 2)}
    while True:
        due = [way.underway[0][0] for way in ways.values() if way.underway]
        wait = max(0.0, min(due) - time.monotonic()) if due else None
        for device in select.select(list(ways), [], [], wait)[0]:
            ways[device].take()
        for way in ways.values():
            way.deliver()


main()
