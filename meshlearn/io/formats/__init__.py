"""One module per file format; `meshlearn.io.registry` says which names and contents belong to which."""
