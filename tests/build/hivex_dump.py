"""Run by whatever Python has hivex: for each path read from standard input, print one line of JSON.

The line is [keys, ...]; a key is [path, [[value name, type, data in hex], ...]], in hivex's order.
"""

import json
import sys

import hivex


def dump(path):
    hive = hivex.Hivex(path)
    keys, pending = [], [("", hive.root())]
    while pending:
        place, node = pending.pop()
        values = [
            [hive.value_key(value), *(lambda kind, data: (kind, data.hex()))(*hive.value_value(value))]
            for value in hive.node_values(node)
        ]
        keys.append([place, values])
        children = [(hive.node_name(child), child) for child in hive.node_children(node)]
        pending += [(place + "\\" + name if place else name, child) for name, child in reversed(children)]
    return keys


for line in sys.stdin:
    try:
        print(json.dumps(dump(line.rstrip("\n"))), flush=True)
    except RuntimeError as error:
        print(json.dumps(str(error)), flush=True)
