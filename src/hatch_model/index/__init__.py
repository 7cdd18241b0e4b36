"""A folder of wheels as a package index that people and installers read: the registry of models.

::

    FOLDER/index.html  feed.xml  static/        for people
           models/NAME/index.html               a model, with charts over its versions
           models/NAME/history.json             all that is known of it: the state of the index
           models/NAME/VERSION/index.html       a version
           models/NAME/VERSION/report.json      what that page shows and history.json does not have
           simple/index.html  index.json        for installers
           simple/NAME/index.html  index.json
           files/NAME/X.whl  X.whl.metadata     the archives; what was there before stays there
           gates.toml                           written by people, for `promote`

Whatever names a file is written after that file, and removed before it, so that installers can
always use the index. Every page is written as a whole, and only if it changes.
"""
