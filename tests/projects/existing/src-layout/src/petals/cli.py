import typer

from petals.model import load


def main():
    typer.run(lambda petal: print(load().predict([[petal]])))
