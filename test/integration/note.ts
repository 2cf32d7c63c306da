import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** A row that feeds no counter and carries none. */
@Entity()
export class Note {
  @PrimaryGeneratedColumn() id!: number;
  @Column() text!: string;
}
