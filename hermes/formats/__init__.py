"""What the files of models say of themselves. They come from anybody: every length is checked before it is believed."""
