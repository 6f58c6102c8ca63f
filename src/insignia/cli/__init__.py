"""The command line: parse, call one public function, print one result. Nothing heavy is imported before it is used."""
