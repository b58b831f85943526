"""flwr_native_bridge: the Python end of an app process of flwr-native. docs/app-form.md describes it."""
