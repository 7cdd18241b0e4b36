import jupytext

notebook = jupytext.read("train.ipynb")
exec(compile(jupytext.writes(notebook, "py:percent"), "train.ipynb", "exec"))
