# -*- coding: utf-8 -*-
import logging
from pathlib import Path

from dotenv import find_dotenv, load_dotenv
from sklearn.datasets import load_wine

project_dir = Path(__file__).resolve().parents[2]


def main():
    """ Runs data processing scripts to turn raw data from (../raw) into
        cleaned data ready to be analyzed (saved in ../processed).
    """
    logger = logging.getLogger(__name__)
    logger.info('making final data set from raw data')
    out = project_dir / 'data' / 'interim' / 'wine.csv'
    out.parent.mkdir(parents=True, exist_ok=True)
    load_wine(as_frame=True).frame.to_csv(out, index=False)


if __name__ == '__main__':
    logging.basicConfig(level=logging.INFO)
    load_dotenv(find_dotenv())
    main()
