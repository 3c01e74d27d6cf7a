"""The exported page: V and M as ONNX, the dream screen, and everything it needs in one folder."""
