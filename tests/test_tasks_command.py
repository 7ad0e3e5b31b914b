"""`ptune tasks`: the list, and the description of one task."""

import json

import model_folder

from tasks import catalog


def test_the_list_has_every_short_name_once_with_its_rows(ptune):
    code, out, _ = ptune("tasks", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0 and len(rows) == len(json.loads(out))
    assert set(catalog.aliases()) <= set(rows) and "gloss_topic" in rows
    assert rows["boolq"]["rows"] == {"train": 9427, "validation": 3270, "test": 3245}
    assert rows["webster_topic"]["rows"] == {"train": 4020, "validation": 600, "test": 2366}
    assert rows["squad_to_bio_asq"]["rows"] == {"train": 87599, "validation": 10570, "test": 1504}


def test_the_list_is_a_table_for_people(ptune):
    code, out, errors = ptune("tasks")
    assert (code, errors) == (0, "")
    (boolq,) = [line.split() for line in out.splitlines() if line.split()[:1] == ["boolq"]]
    assert boolq == ["boolq", "9,427", "3,270", "3,245", "2", "accuracy"]
    assert "taskless_super_glue_boolq_v102" in ptune("tasks", "--all")[1]


def test_a_task_is_described_by_examples_labels_lengths_majority_and_overlap(model, ptune, tmp_path):
    rows = [{"inputs": f"word {i % 9} {'more ' * i}", "targets": "dog" if i % 3 else "people"} for i in range(18)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:4]))
    command = ("tasks", f"file:{tmp_path}/train.jsonl", "--model.checkpoint", model, "--input_length", "20")
    found = json.loads(ptune(*command, "--json")[1])
    assert found["labels"] == ["dog", "people"] and len(found["examples"]) == 5
    train, validation = found["splits"]["train"], found["splits"]["validation"]
    assert (train["examples"], train["also_in_training"], validation["also_in_training"]) == (18, None, 4)
    assert train["majority"] == {"accuracy": 100 * 12 / 18} and validation["majority"] == {"accuracy": 50.0}
    assert sum(train["input_length"]["histogram"]["counts"]) == 18 and 0 < train["input_length"]["cut_percent"] < 100
    code, out, _ = ptune(*command)
    assert code == 0 and "dog, people" in " ".join(out.split()) and "accuracy 66.7" in out


def test_an_unknown_task_is_one_line_with_the_nearest(ptune):
    code, out, errors = ptune("tasks", "bolq")
    assert (code, out) == (2, "") and errors.count("\n") == 1
    assert "no task 'bolq'; did you mean 'boolq'?" in errors


def test_the_users_own_task_is_described_too(model, ptune):
    code, out, errors = ptune("tasks", model_folder.TASK, "--model.checkpoint", model)
    assert code == 0, errors
    assert "dog, people, plant" in out
