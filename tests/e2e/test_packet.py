#!/usr/bin/env python3
"""AF_PACKET sockets that hear frames are listeners, from before the daemon's start too. Who sends
frames is among the cases."""
import os
import socket

import harness

ETH_P_ALL = 3


class Packet(harness.Case):

    def setUp(self):
        super().setUp()
        self.need_kernel()
        done = self.run_daemon("--check")
        if "frames of AF_PACKET" in done.stdout:
            self.skipTest("this kernel refuses the programs of slot packet")

    @staticmethod
    def hear():
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))

    def listeners(self, daemon, where):
        return daemon.rows("SELECT * FROM listeners WHERE protocol = 'packet' AND pid = ?"
                           f" AND {where}", os.getpid())

    def test_who_hears_frames_is_a_listener_until_the_socket_is_closed(self):
        daemon = self.start_daemon()
        with self.hear():
            harness.wait_until("the listener", lambda: self.listeners(daemon, "open = 1"))
        harness.wait_until("its end", lambda: self.listeners(daemon, "open = 0"))
        self.hear().close()
        harness.wait_until("the short one", lambda: len(self.listeners(daemon, "open = 0")) == 2)

    def test_who_only_sends_is_none(self):
        daemon = self.start_daemon()
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0), self.hear():
            harness.wait_until("the other one", lambda: self.listeners(daemon, "open = 1"))
        daemon.stop()
        harness.one(self, self.listeners(daemon, "1"))

    def test_one_from_before_the_start(self):
        with self.hear():
            daemon = self.start_daemon()
            found = harness.wait_until("it", lambda: self.listeners(daemon, "open = 1"))
        self.assertEqual([row["method"] for row in found], ["snapshot"])
        harness.wait_until("its end", lambda: self.listeners(daemon, "open = 0"))


if __name__ == "__main__":
    harness.main()
