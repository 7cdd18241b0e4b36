"""The engines that joblib runs on during training; see :mod:`hatch_model.engines.engine`."""
