# SPDX-License-Identifier: MIT
"""Steps of a model in PyTorch, timed: the peer of step.c.

    step.py NAME BATCH sgd|adam|infer THREADS STEPS [WARM_UP]

Prints one line of JSON.
"""
import json
import resource
import sys
import time

import torch
from torch.nn import functional

import models


def trainer(model, x, label, optimizer):
    if optimizer == "adam":
        update = torch.optim.Adam(model.parameters(), lr=1e-3)
    else:
        update = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step():
        update.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(model(x), label)
        loss.backward()
        update.step()

    return step


def main():
    name, batch, optimizer, threads, steps = sys.argv[1:6]
    warm_up = int(sys.argv[6]) if len(sys.argv) > 6 else 5
    torch.set_num_threads(int(threads))
    model = models.build(name)
    x, label = models.draw(model, int(batch))
    if optimizer == "infer":
        model.eval()
        torch.set_grad_enabled(False)

        def step():
            model(x)
    else:
        step = trainer(model, x, label, optimizer)

    for _ in range(warm_up):
        step()
    wall, cpu = time.monotonic(), time.process_time()
    for _ in range(int(steps)):
        step()
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    print(
        json.dumps(
            {
                "cpu_ms": 1e3 * cpu / int(steps),
                "wall_ms": 1e3 * wall / int(steps),
                "peak_rss_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                "parameters": sum(p.numel() for p in model.parameters()),
            }
        )
    )


main()
