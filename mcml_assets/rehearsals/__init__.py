"""Jobs and schedules that rehearse: a drill, a restore, and the reminder of a game day.

What a drill does is in `drills/`, and going back to a snapshot in `restore.py`.
"""
