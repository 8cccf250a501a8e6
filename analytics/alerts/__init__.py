"""Alerts: rules over what the roll-ups say, incidents that begin and end once, and the channels that hear of them.

conditions  what a rule may say            measures   what is measured at this moment, for each subject of a rule
evaluate    rules become incidents          messages   incidents in words
outbox      messages that are on their way  sender     the child process that speaks to the outside
"""
