# SPDX-License-Identifier: MIT
"""Training steps of a model in PyTorch, timed: the peer of step.c.

    step.py lenet|resnet18_cifar_w16 BATCH sgd|adam THREADS STEPS

Prints one line of JSON.
"""
import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional

WARM_UP = 5


class LeNet(nn.Module):
    shape = (1, 28, 28)

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5, padding=2)
        self.c2 = nn.Conv2d(6, 16, 5)
        self.f1 = nn.Linear(400, 120)
        self.f2 = nn.Linear(120, 84)
        self.f3 = nn.Linear(84, 10)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.c1(x)), 2)
        x = functional.avg_pool2d(torch.tanh(self.c2(x)), 2)
        x = torch.sigmoid(self.f1(x.flatten(1)))
        return self.f3(functional.relu(self.f2(x)))


class Block(nn.Module):
    def __init__(self, before, channels, stride):
        super().__init__()
        self.c1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.b1 = nn.BatchNorm2d(channels)
        self.c2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.b2 = nn.BatchNorm2d(channels)
        self.short = None
        if stride != 1 or before != channels:
            self.short = nn.Sequential(nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        y = self.b2(self.c2(functional.relu(self.b1(self.c1(x)))))
        return functional.relu(y + (x if self.short is None else self.short(x)))


class ResNet18(nn.Module):
    shape = (3, 32, 32)

    def __init__(self, width=16):
        super().__init__()
        self.c1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.b1 = nn.BatchNorm2d(width)
        blocks, before = [], width
        for stage in range(4):
            channels = width << stage
            blocks += [Block(before, channels, 2 if stage else 1), Block(channels, channels, 1)]
            before = channels
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(before, 10)

    def forward(self, x):
        x = self.blocks(functional.relu(self.b1(self.c1(x))))
        return self.fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))


def main():
    name, batch, optimizer, threads, steps = sys.argv[1:6]
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    model = {"lenet": LeNet, "resnet18_cifar_w16": ResNet18}[name]()
    x = torch.rand(int(batch), *model.shape) * 2 - 1
    label = torch.randint(0, 10, (int(batch),))
    if optimizer == "adam":
        update = torch.optim.Adam(model.parameters(), lr=1e-3)
    else:
        update = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step():
        update.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(model(x), label)
        loss.backward()
        update.step()

    for _ in range(WARM_UP):
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
