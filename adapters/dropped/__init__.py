"""What lies in the drop folder: which kind of file it is, and a document with the note beside it that describes it."""
