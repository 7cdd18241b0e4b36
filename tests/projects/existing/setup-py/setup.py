from setuptools import find_packages, setup

REQUIRED = [
    "scikit-learn",
    "pandas",
    "matplotlib",
]

setup(
    name="tumors",
    version="1.2.0",
    description="Tells benign tumors from malignant ones",
    packages=find_packages(),
    python_requires=">=3.6",
    install_requires=REQUIRED,
)
