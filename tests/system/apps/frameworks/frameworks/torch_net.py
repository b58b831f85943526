"""A small net; its data come from the processes of a DataLoader."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from frameworks.telling import app_of


def train(order):
    own = torch.rand(1).item()
    torch.manual_seed(3)
    inputs = torch.randn(256, 8)
    labels = (inputs.sum(dim=1) > 0).long()
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    loader = DataLoader(TensorDataset(inputs, labels), batch_size=32, shuffle=True, num_workers=2)
    for _ in range(2):
        for batch, wanted in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(batch), wanted)
            loss.backward()
            optimizer.step()
    weights = [round(value, 5) for value in net[0].weight.flatten()[:8].tolist()]
    return {"loss": round(loss.item(), 5), "weights": weights}, {"torch": own}


app = app_of(train)
