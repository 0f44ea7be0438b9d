"""A rider's account as a whole: all that is kept about the rider in one document, and its end."""
