def train(output_dir):
    (output_dir / "weights.txt").write_text("0.5\n")
    return {"accuracy": 0.75}
