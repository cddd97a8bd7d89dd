"""The commands of `hie`, one file a noun. Heavy parts are imported inside, so that `hie --help` is quick."""
