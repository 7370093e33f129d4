"""Figures as files; colours and places of labels are the page's too."""
