"""Parts of the scripts that build datasets: options of writers and checks, review sheets."""
