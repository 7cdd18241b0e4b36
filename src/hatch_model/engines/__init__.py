"""The engines that joblib runs on in the training process; see :mod:`hatch_model.engines.engine`."""
