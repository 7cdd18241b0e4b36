import os

import pandas as pd

IN = 'data/interim/wine.csv'
OUT = 'data/processed/wine.csv'


def add_ratio(df):
    df['ratio'] = df['alcohol'] / df['color_intensity']
    return df


if __name__ == '__main__':
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    add_ratio(pd.read_csv(IN)).to_csv(OUT, index=False)
