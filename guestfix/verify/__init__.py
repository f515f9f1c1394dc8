"""Starting a guest: a throw-away copy of its disks in QEMU with a target's hardware, watched until it ends by itself.

Nothing that a guest does there reaches the images or the network outside; :mod:`guestfix.verify.run` is where to begin.
"""
