app = = 1
