"""A plan as one page of HTML: what is drawn, how it is drawn, and the words below it."""
