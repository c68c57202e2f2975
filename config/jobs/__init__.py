"""Long work of a service, kept in a table of jobs: accepted, waiting, running, ended; followed, cancelled, taken up again after a kill."""
