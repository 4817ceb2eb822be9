"""Time4VPS's API for servers, in the shape of its published description, with what it does wrong now and then.

Known from the description: paths, fields, tasks that run on, prices of services. Known from programs in use: the
three bodies of status 401, the two forms in which a password is shown, the names of tasks. Not known, and made up here:
what a task that has failed says, and that a machine refuses a second task with 409 while it does a first.
"""
