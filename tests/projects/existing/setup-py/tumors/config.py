import os

MODEL_DIR = "models"
MODEL_PATH = os.path.join(MODEL_DIR, "tumors.pkl")
