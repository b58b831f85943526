"""The same sums as averaging, with the interfaces of Flower 1.21 and later."""
